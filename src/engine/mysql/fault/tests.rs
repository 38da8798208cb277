//! What is told of the server's messages, and what of them is blamed on rows.

use super::{Kind, column, describe, kind};

#[test]
fn a_reason_names_constraint_and_column_but_no_value() {
    for (number, state, message, told, named) in [
        (
            1062,
            "23000",
            "Duplicate entry 'a' for key 'b' for key 'shop.email'",
            "Duplicate entry for key 'shop.email'",
            None,
        ),
        (
            1366,
            "22007",
            "Incorrect integer value: 'x: \"y\" for column z' for column `shop`.`orders`.`total` at row 3",
            "Incorrect integer value for column `shop`.`orders`.`total`",
            Some("total"),
        ),
        (
            1406,
            "22001",
            "Data too long for column 'name' at row 1",
            "Data too long for column 'name'",
            Some("name"),
        ),
        (
            1048,
            "23000",
            "Column 'it's' cannot be null",
            "Column 'it's' cannot be null",
            Some("it's"),
        ),
        (
            1364,
            "HY000",
            "Field 'code' doesn't have a default value",
            "Field 'code' doesn't have a default value",
            Some("code"),
        ),
        (
            1452,
            "23000",
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`id`))",
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`id`))",
            None,
        ),
        (
            1644,
            "45000",
            "no 'Sunday' deliveries",
            "no 'Sunday' deliveries",
            None,
        ),
        (
            1526,
            "HY000",
            "Table has no partition for value 5",
            "Table has no partition for a value of the row",
            None,
        ),
    ] {
        assert_eq!(describe(number, state, message), told);
        assert_eq!(column(message).as_deref(), named, "{message}");
    }
}

#[test]
fn only_faults_of_data_are_blamed_on_rows() {
    for (number, state, message, expected) in [
        (1062, "23000", "", Kind::Data),
        (1264, "22003", "", Kind::Data),
        (4025, "23000", "", Kind::Data),
        (3819, "HY000", "", Kind::Data),
        (1644, "45000", "", Kind::Data),
        (1114, "HY000", "The table 't' is full", Kind::Full),
        (
            1030,
            "HY000",
            "Got error 28 \"No space left on device\" from storage engine InnoDB",
            Kind::Full,
        ),
        (1142, "42000", "", Kind::Denied),
        (1290, "HY000", "", Kind::Denied),
        (1205, "HY000", "", Kind::Locked),
        (1412, "HY000", "", Kind::Changed),
        (1054, "42S22", "", Kind::Changed),
        (1213, "40001", "", Kind::Lost),
        (1317, "70100", "", Kind::Lost),
        (1053, "08S01", "", Kind::Lost),
        (1045, "28000", "", Kind::Unreachable),
        (1040, "08004", "", Kind::Unreachable),
        (1064, "42000", "", Kind::Other),
        (0, "", "", Kind::Other),
    ] {
        assert_eq!(kind(number, state, message), expected, "{number}");
    }
}
