//! What SQLite sends.

use super::{Case, JSONS, MOMENTS, TEXTS, case};

#[rustfmt::skip]
pub(super) const PLAIN: &[Case] = &[
    case("boolean", &["0", "1", "null"], &["boolean", "smallint"], &["boolean", "tinyint(1)", "text"], &["boolean", "bit(1)", "smallint"]),
    case(
        "integer",
        &["-9223372036854775808", "9223372036854775807", "32768", "-1", "0"],
        &["bigint", "int", "smallint", "numeric", "numeric(5,1)", "numeric(6,-2)", "float8", "text", "boolean"],
        &["integer", "smallint", "decimal", "decimal(4,0)", "decimal text", "real", "text"],
        &["bigint", "int", "tinyint unsigned", "bigint unsigned", "decimal(5,1)", "double", "text", "boolean"],
    ),
    case(
        "real",
        &["9e999", "-9e999", "1.7976931348623157e308", "5e-324", "0.1", "0.5", "1", "16777217.0"],
        &["float8", "real", "numeric"],
        &["real", "float4 real", "decimal"],
        &["double", "float", "decimal(20,2)"],
    ),
    case("float4 real", &["0.5", "16777216", "9e999"], &["real", "float8"], &["float4 real", "real"], &["float", "double"]),
    case(
        "decimal(12,2)",
        &["12.3", "12.345", "0.1 + 0.2", "5", "-0.01", "1e12", "'123456789012345.67'"],
        &["numeric", "numeric(12,2)", "numeric(6,1)", "bigint", "numeric(6,-2)"],
        &["decimal(12,2)", "decimal", "decimal text", "decimal(6,1)"],
        &["decimal(12,2)", "decimal(6,1)", "bigint"],
    ),
    case(
        "decimal",
        &["12.3", "1e18", "0.1", "1e-7", "5"],
        &["numeric", "numeric(12,2)", "numeric(12,4)"],
        &["decimal", "decimal text", "decimal(12,2)"],
        &["decimal(12,2)", "decimal(65,30)"],
    ),
    case(
        "decimal text",
        &["'1.00'", "'1e-130'", "'-0'", "'NaN'", "'Infinity'", "'123456789012345678901234567890.5'", "'007.10'"],
        &["numeric", "numeric(5,2)", "numeric(3,5)"],
        &["decimal text", "decimal", "decimal(10,2)", "decimal text(10,2)"],
        &["decimal(65,30)", "decimal(5,2)"],
    ),
    case("decimal(10,0)", &["5", "1e9"], &["int", "smallint", "numeric(10,0)"], &["integer"], &["int", "smallint", "decimal(10,0)", "bigint unsigned"]),
    case(
        "text",
        TEXTS,
        &["text", "varchar(3)", "char(3)", "code", "bpchar", "bytea", "int", "citext", "json"],
        &["text", "varchar(3)", "clob", "blob", "integer"],
        &["text", "varchar(3)", "char(3)", "tinytext", "longblob", "int", "json"],
    ),
    case(
        "text",
        &["cast(x'610062' as text)", "char(0)", "'a' || char(0)"],
        &["text", "varchar(3)", "char(3)"],
        &["text", "varchar(3)", "varchar(1)"],
        &["text", "varchar(3)", "char(3)", "tinytext", "longblob", "int", "json"],
    ),
    case("varchar(3)", &["'abcdef'", "'é😀x'", "'ab   '", "'a'"], &["varchar(3)", "text", "char(3)"], &["varchar(3)", "text", "varchar(2)"], &["varchar(3)", "text", "char(3)"]),
    case("char(5)", &["'a'", "'a '", "'abcde'", "'abcdef'"], &["char(5)", "varchar(5)", "text"], &["char(5)", "text"], &["char(5)", "varchar(5)", "text"]),
    case("blob", &["x''", "x'00'", "x'ff00fe'", "null"], &["bytea", "text"], &["blob", "bytea", "text"], &["longblob", "varbinary(1)", "binary(3)", "text"]),
    case(
        "date",
        &["'infinity'", "'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'2024-02-29'"],
        &["date", "timestamp", "text", "varchar(9)"],
        &["date", "date text", "text"],
        &["date", "datetime", "text"],
    ),
    case("time", &["'24:00:00'", "'00:00:00'", "'23:59:59.999999'", "'12:00:00.5'"], &["time", "time(0)", "text"], &["time", "text"], &["time(6)", "time", "text"]),
    case("datetime", MOMENTS, &["timestamp", "timestamp(3)", "timestamptz", "text"], &["datetime", "timestamp text", "text"], &["datetime(6)", "datetime(3)", "timestamp null", "text"]),
    case(
        "timestamptz",
        &["'2024-01-01 10:00:00.5+02:00'", "'2024-01-01T10:00:00Z'", "'1969-12-31 23:59:59.999999'", "'infinity'"],
        &["timestamptz", "timestamptz(0)", "text"],
        &["timestamptz", "timestamptz text", "text"],
        &["timestamp(6) null", "timestamp null", "datetime(6)", "text"],
    ),
    case(
        "uuid",
        &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'"],
        &["uuid", "text", "varchar(35)", "char(36)"],
        &["uuid", "text"],
        &["uuid", "char(36)", "varchar(35)"],
    ),
    case("json text", JSONS, &["json", "jsonb", "text"], &["json", "json text", "text"], &["json", "longtext"]),
];

#[rustfmt::skip]
pub(super) const OTHER: &[Case] = &[
    case("inet", &["'10.1.2.3/32'", "'nonsense'"], &["inet", "text"], &["inet", "text"], &["text", "inet6"]),
    case("interval", &["'1 day 24:00'"], &["interval", "text"], &["text"], &["text"]),
    case("money", &["'1.239'", "'$1'", "7"], &["money", "text"], &["money", "text"], &["text"]),
    case("bit(3)", &["10101", "'x'"], &["bit(3)", "text", "varchar(2)"], &["bit(3)", "text"], &["text", "bit(3)"]),
    case("", &["'x'", "'5'", "''"], &["text"], &["", "text", "integer"], &["text", "int"]),
    case("geometry", &["5", "'a'", "'1e5 '"], &["text"], &["geometry", "text"], &["text"]),
];
