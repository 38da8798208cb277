//! The types, their edge values, and the types they are sent to.

use crate::support::database::Kind;

/// One type of a source.
pub(super) struct Case {
    /// As it is declared.
    pub(super) source: &'static str,
    /// As SQL writes them.
    pub(super) values: &'static [&'static str],
    /// Types of destinations made by hand.
    pub(super) postgres: &'static [&'static str],
    pub(super) sqlite: &'static [&'static str],
}

const fn case(
    source: &'static str,
    values: &'static [&'static str],
    postgres: &'static [&'static str],
    sqlite: &'static [&'static str],
) -> Case {
    Case {
        source,
        values,
        postgres,
        sqlite,
    }
}

/// The source's types in groups that each make one table.
pub(super) fn cases(from: Kind) -> [&'static [Case]; 2] {
    match from {
        Kind::Postgres => [PLAIN_OF_POSTGRES, OTHER_OF_POSTGRES],
        Kind::Sqlite => [PLAIN_OF_SQLITE, OTHER_OF_SQLITE],
    }
}

/// What has to be there before the tables.
pub(super) fn prelude(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "create extension citext; create type mood as enum ('sad', 'o k');
             create domain cents as numeric(12,2) check (value >= 0);
             create domain code as char(4);"
        }
        Kind::Sqlite => "",
    }
}

const TEXTS: &[&str] = &[
    "''",
    "'a'",
    "'A'",
    "'a '",
    "' a'",
    "'   '",
    "'007'",
    "'1e5'",
    "'1.0'",
    "'inf'",
    "'null'",
    "'true'",
    "'é'",
    "'e\u{301}'",
    "'😀😀'",
    "'\"q'' \\n \\\\'",
    "'tab\tline\nend\r\n'",
    "'abcdefghij'",
    "'{\"a\": 1}'",
    "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
    "'2024-01-01'",
    "null",
];

const MOMENTS: &[&str] = &[
    "'2024-02-29 23:59:59.999999'",
    "'1969-12-31 23:59:59.000001'",
    "'1999-12-31 23:59:59.9'",
    "'2000-01-01 00:00:00'",
    "'0001-01-01 00:00:00'",
    "'2024-01-01 10:00:00.123'",
    "'2024-01-01 10:00:00.1234'",
    "'infinity'",
    "'-infinity'",
];

#[rustfmt::skip]
const PLAIN_OF_POSTGRES: &[Case] = &[
    case("boolean", &["true", "false", "null"], &["boolean", "int", "text"], &["boolean", "tinyint(1)", "integer", "text"]),
    case(
        "smallint",
        &["-32768", "32767", "0"],
        &["smallint", "int", "bigint", "numeric", "numeric(4,0)", "numeric(8,3)", "real", "text"],
        &["smallint", "integer", "decimal(3,0)", "decimal", "decimal text", "real", "text"],
    ),
    case(
        "bigint",
        &["-9223372036854775808", "9223372036854775807", "-1", "9007199254740993", "1000"],
        &["bigint", "int", "smallint", "numeric", "numeric(10,2)", "numeric(6,-2)", "float8"],
        &["integer", "smallint", "decimal", "decimal(20,0)", "decimal text(20,2)", "real"],
    ),
    case(
        "real",
        &["'-0'", "0", "'NaN'", "'Infinity'", "'-Infinity'", "3.4028235e38", "1e-45", "0.1", "16777217"],
        &["real", "float8", "numeric", "text"],
        &["float4", "float4 real", "real", "double", "numeric"],
    ),
    case(
        "float8",
        &["'-0'", "0", "'NaN'", "'Infinity'", "'-Infinity'", "1.7976931348623157e308", "5e-324", "0.1", "0.5", "1e22",
            "123456789012345680", "4503599627370497.5", "-9007199254740993"],
        &["float8", "real", "numeric"],
        &["real", "float4 real", "double precision", "decimal"],
    ),
    case(
        "numeric",
        &["'NaN'", "'Infinity'", "'-Infinity'", "1e-130", "-1e130", "0.00", "-0.00", "1", "1.0", "1.00", "12.345", "0.001", "100",
            "123456789012345678901234567890.123456789", "999999999999999.9", "0.1", "1e-10", "1e18", "1e19", "99999.995"],
        &["numeric", "numeric(12,2)", "numeric(5,0)", "numeric(6,-2)", "numeric(3,5)", "bigint", "text", "float8"],
        &["decimal", "numeric", "decimal text", "decimal(12,2)", "decimal(15,5)", "decimal(20,2)", "integer", "text"],
    ),
    case(
        "numeric(12,2)",
        &["12.30", "-0.01", "9999999999.99", "'NaN'", "100", "0"],
        &["numeric", "numeric(12,2)", "numeric(10,1)", "numeric(14,4)", "cents", "bigint"],
        &["decimal", "decimal(12,2)", "decimal(8,1)", "decimal text(12,2)", "decimal text", "real"],
    ),
    case(
        "numeric(20,0)",
        &["18446744073709551615", "0", "-5", "9223372036854775807"],
        &["numeric(20,0)", "bigint", "int", "smallint", "numeric"],
        &["integer", "bigint", "smallint", "decimal(20,0)", "decimal text(20,0)"],
    ),
    case("numeric(6,-2)", &["1200", "-99900", "0"], &["numeric(6,-2)", "numeric", "text"], &["text", "decimal"]),
    case("numeric(3,5)", &["0.00123", "0"], &["numeric(3,5)", "numeric(4,2)", "numeric"], &["decimal(3,5)", "decimal"]),
    case("cents", &["12.3", "0"], &["cents", "numeric(12,2)", "numeric"], &["decimal(12,2)", "decimal"]),
    case(
        "text",
        TEXTS,
        &["text", "varchar(3)", "varchar", "char(3)", "char", "bpchar", "code", "bytea", "int", "uuid", "json", "date", "citext"],
        &["text", "varchar(3)", "clob", "blob", "integer", "nchar(2)", "uuid", "json"],
    ),
    case(
        "varchar(12)",
        &["''", "'ab'", "'é😀x'", "'ab  '"],
        &["varchar(12)", "varchar(3)", "char(12)"],
        &["varchar(12)", "text", "char(2)"],
    ),
    case(
        "char(5)",
        &["''", "'a'", "'abcde'", "'é'", "' a'", "null"],
        &["char(5)", "char(8)", "char(3)", "text", "varchar(5)", "varchar(2)", "code", "bpchar"],
        &["text", "char(5)", "varchar(5)", "varchar(2)"],
    ),
    case("code", &["'ab'", "'abcd'"], &["code", "char(4)", "text"], &["text"]),
    case("bytea", &["''", "'\\x00'", "'\\xff00fe'", "null"], &["bytea", "text"], &["blob", "bytea", "binary(1)", "text"]),
    case(
        "date",
        &["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'5874897-12-31'", "'2024-02-29'"],
        &["date", "timestamp", "text", "varchar(10)"],
        &["date", "date text", "text", "varchar(10)", "integer"],
    ),
    case(
        "time",
        &["'24:00'", "'00:00'", "'23:59:59.999999'", "'12:00:00.5'", "'12:00:01'"],
        &["time", "time(0)", "time(3)", "text"],
        &["time", "time text", "text"],
    ),
    case("time(0)", &["'12:00:01'"], &["time(0)", "time", "time(3)"], &["time"]),
    case(
        "timestamp",
        MOMENTS,
        &["timestamp", "timestamp(3)", "timestamp(0)", "timestamptz", "date", "text"],
        &["timestamp", "datetime", "timestamp text", "text", "varchar(19)"],
    ),
    case("timestamp(3)", &["'2024-01-01 10:00:00.123'"], &["timestamp(3)", "timestamp", "timestamp(1)"], &["datetime"]),
    case(
        "timestamptz",
        MOMENTS,
        &["timestamptz", "timestamptz(3)", "timestamp", "text"],
        &["timestamptz", "timestamp with time zone", "text", "datetime"],
    ),
    case(
        "uuid",
        &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'00000000-0000-0000-0000-000000000000'", "'12345678-1234-1234-1234-123456789012'"],
        &["uuid", "text", "varchar(36)", "varchar(35)", "char(36)"],
        &["uuid", "uuid text", "text", "char(36)", "blob"],
    ),
    case("json", JSONS, &["json", "jsonb", "text", "varchar(6)"], &["json", "json text", "text", "jsonb"]),
    case("jsonb", JSONBS, &["jsonb", "json", "text", "varchar(6)"], &["json", "json text", "text"]),
];

const JSONS: &[&str] = &[
    "'{\"b\":1,\"a\":2}'",
    "'{\"a\":1,\"a\":2}'",
    "'{\"x\":[{\"a\":1,\"a\":1}]}'",
    "'{\"a\":1,\"\\u0061\":2}'",
    "'1'",
    "'1.0'",
    "'1e2'",
    "'-0'",
    "'12345678901234567890.123456789'",
    "' [1, 2 ] '",
    "'null'",
    "'\"\\u0000\"'",
    "'\"\\ud83d\\ude00\"'",
    "'\"é\"'",
    "'true'",
    "'\"\"'",
    "null",
];

const JSONBS: &[&str] = &[
    "'{\"b\":1,\"aa\":2}'",
    "'1'",
    "'1.0'",
    "'12345678901234567890.123456789'",
    "'[1, 2 ]'",
    "'null'",
    "'\"\\ud83d\\ude00\"'",
    "'-5'",
    "'{}'",
];

#[rustfmt::skip]
const OTHER_OF_POSTGRES: &[Case] = &[
    case(
        "int[]",
        &["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'"],
        &["int[]", "text", "varchar(4)", "bigint[]"],
        &["text", "varchar(4)", "integer"],
    ),
    case("text[]", &["'{\"a b\",\"c,d\",NULL,\"NULL\"}'"], &["text[]", "text"], &["text"]),
    case("numeric(5,2)[]", &["'{1.00,2.5}'"], &["numeric(5,2)[]", "text", "numeric(5,1)[]"], &["text"]),
    case("varchar(3)[]", &["'{abc}'"], &["varchar(3)[]", "varchar(2)[]"], &["text"]),
    case("inet", &["'10.1.2.3/32'", "'10.1.2.3/8'", "'::1'"], &["inet", "cidr", "text"], &["text", "inet"]),
    case("interval", &["'1 day 24:00:00.000001'", "'-1 mon'", "'0'"], &["interval", "interval(3)", "text"], &["text", "interval"]),
    case("interval(3)", &["'1 day 00:00:00.123'"], &["interval(3)", "interval"], &["text"]),
    case("mood", &["'sad'", "'o k'", "null"], &["mood", "text"], &["text"]),
    case("money", &["12.34", "-0.01", "92233720368547758.07"], &["money", "text"], &["text"]),
    case("bit(3)", &["B'101'"], &["bit(3)", "bit(5)", "bit", "text"], &["text", "bit(3)"]),
    case("varbit(5)", &["B'101'", "B''"], &["varbit(5)", "varbit(2)", "varbit"], &["text"]),
    case("point", &["'(1.1,-0)'"], &["point", "text"], &["text"]),
    case("timetz", &["'12:00:00.5+02'"], &["timetz", "time"], &["text"]),
    case("timetz(1)", &["'12:00:00.5+02'"], &["timetz(1)", "timetz"], &["text"]),
    case("xml", &["'<a>b</a>'"], &["xml", "text"], &["text"]),
    case("oid", &["4294967295"], &["oid", "bigint", "text"], &["text", "integer"]),
    case("citext", TEXTS, &["citext", "text", "varchar(3)", "char(3)"], &["text", "varchar(3)"]),
    case("\"char\"", &["'z'", "''"], &["\"char\"", "text"], &["text"]),
    case("name", &["'n'"], &["name", "text"], &["text"]),
    case("int4range", &["'[1,5)'", "'empty'"], &["int4range", "text"], &["text"]),
    case("tsvector", &["'a:1 b'"], &["tsvector", "text"], &["text"]),
    case("macaddr", &["'08:00:2b:01:02:03'"], &["macaddr", "text"], &["text"]),
    case("real[]", &["'{0.1,-0,NaN}'"], &["real[]", "text"], &["text"]),
    case("timestamptz[]", &["'{\"2024-01-01 10:00:00.000001+02\"}'"], &["timestamptz[]"], &["text"]),
];

#[rustfmt::skip]
const PLAIN_OF_SQLITE: &[Case] = &[
    case("boolean", &["0", "1", "null"], &["boolean", "smallint"], &["boolean", "tinyint(1)", "text"]),
    case(
        "integer",
        &["-9223372036854775808", "9223372036854775807", "32768", "-1", "0"],
        &["bigint", "int", "smallint", "numeric", "numeric(5,1)", "numeric(6,-2)", "float8", "text", "boolean"],
        &["integer", "smallint", "decimal", "decimal(4,0)", "decimal text", "real", "text"],
    ),
    case(
        "real",
        &["9e999", "-9e999", "1.7976931348623157e308", "5e-324", "0.1", "0.5", "1", "16777217.0"],
        &["float8", "real", "numeric"],
        &["real", "float4 real", "decimal"],
    ),
    case("float4 real", &["0.5", "16777216", "9e999"], &["real", "float8"], &["float4 real", "real"]),
    case(
        "decimal(12,2)",
        &["12.3", "12.345", "0.1 + 0.2", "5", "-0.01", "1e12", "'123456789012345.67'"],
        &["numeric", "numeric(12,2)", "numeric(6,1)", "bigint", "numeric(6,-2)"],
        &["decimal(12,2)", "decimal", "decimal text", "decimal(6,1)"],
    ),
    case(
        "decimal",
        &["12.3", "1e18", "0.1", "1e-7", "5"],
        &["numeric", "numeric(12,2)", "numeric(12,4)"],
        &["decimal", "decimal text", "decimal(12,2)"],
    ),
    case(
        "decimal text",
        &["'1.00'", "'1e-130'", "'-0'", "'NaN'", "'Infinity'", "'123456789012345678901234567890.5'", "'007.10'"],
        &["numeric", "numeric(5,2)", "numeric(3,5)"],
        &["decimal text", "decimal", "decimal(10,2)", "decimal text(10,2)"],
    ),
    case("decimal(10,0)", &["5", "1e9"], &["int", "smallint", "numeric(10,0)"], &["integer"]),
    case(
        "text",
        TEXTS,
        &["text", "varchar(3)", "char(3)", "code", "bpchar", "bytea", "int", "citext", "json"],
        &["text", "varchar(3)", "clob", "blob", "integer"],
    ),
    case(
        "text",
        &["cast(x'610062' as text)", "char(0)", "'a' || char(0)"],
        &["text", "varchar(3)", "char(3)"],
        &["text", "varchar(3)", "varchar(1)"],
    ),
    case("varchar(3)", &["'abcdef'", "'é😀x'", "'ab   '", "'a'"], &["varchar(3)", "text", "char(3)"], &["varchar(3)", "text", "varchar(2)"]),
    case("char(5)", &["'a'", "'a '", "'abcde'", "'abcdef'"], &["char(5)", "varchar(5)", "text"], &["char(5)", "text"]),
    case("blob", &["x''", "x'00'", "x'ff00fe'", "null"], &["bytea", "text"], &["blob", "bytea", "text"]),
    case(
        "date",
        &["'infinity'", "'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'2024-02-29'"],
        &["date", "timestamp", "text", "varchar(9)"],
        &["date", "date text", "text"],
    ),
    case("time", &["'24:00:00'", "'00:00:00'", "'23:59:59.999999'", "'12:00:00.5'"], &["time", "time(0)", "text"], &["time", "text"]),
    case("datetime", MOMENTS, &["timestamp", "timestamp(3)", "timestamptz", "text"], &["datetime", "timestamp text", "text"]),
    case(
        "timestamptz",
        &["'2024-01-01 10:00:00.5+02:00'", "'2024-01-01T10:00:00Z'", "'1969-12-31 23:59:59.999999'", "'infinity'"],
        &["timestamptz", "timestamptz(0)", "text"],
        &["timestamptz", "timestamptz text", "text"],
    ),
    case(
        "uuid",
        &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'"],
        &["uuid", "text", "varchar(35)", "char(36)"],
        &["uuid", "text"],
    ),
    case("json text", JSONS, &["json", "jsonb", "text"], &["json", "json text", "text"]),
];

#[rustfmt::skip]
const OTHER_OF_SQLITE: &[Case] = &[
    case("inet", &["'10.1.2.3/32'", "'nonsense'"], &["inet", "text"], &["inet", "text"]),
    case("interval", &["'1 day 24:00'"], &["interval", "text"], &["text"]),
    case("money", &["'1.239'", "'$1'", "7"], &["money", "text"], &["money", "text"]),
    case("bit(3)", &["10101", "'x'"], &["bit(3)", "text", "varchar(2)"], &["bit(3)", "text"]),
    case("", &["'x'", "'5'", "''"], &["text"], &["", "text", "integer"]),
    case("geometry", &["5", "'a'", "'1e5 '"], &["text"], &["geometry", "text"]),
];
