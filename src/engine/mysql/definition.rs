//! What the text of `show create table` tells and the catalogue keeps to itself. Pure.
//!
//! The server writes one column or constraint a line, names in backticks; nothing else is relied on.

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Definition {
    /// Column and clause of checks that make a text column one of MariaDB's json columns.
    pub(super) json_checks: Vec<(String, String)>,
    /// Names of foreign keys, and what they do on delete.
    pub(super) delete_rules: Vec<(String, String)>,
}

impl Definition {
    /// Reads the server's text.
    pub(super) fn read(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().map(str::trim_start) {
            if let Some((key, rest)) = line.strip_prefix("CONSTRAINT ").and_then(take_name) {
                if rest.trim_start().starts_with("FOREIGN KEY ") {
                    found.delete_rules.push((key, delete_rule(rest)));
                }
            } else if let Some((column, rest)) = take_name(line) {
                let clause = format!("json_valid(`{}`)", column.replace('`', "``"));
                if rest
                    .trim_end_matches(',')
                    .ends_with(&format!(" CHECK ({clause})"))
                {
                    found.json_checks.push((column, clause));
                }
            }
        }
        found
    }
}

/// A name in backticks at the front of `text`, and what follows it.
fn take_name(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('`')?;
    let mut name = String::new();
    loop {
        let (before, after) = rest.split_once('`')?;
        name.push_str(before);
        match after.strip_prefix('`') {
            Some(after) => {
                name.push('`');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

/// The server leaves its default out, which means the same as this word.
fn delete_rule(constraint: &str) -> String {
    let rule = constraint.rsplit_once(" ON DELETE ").map(|(_, rule)| rule);
    ["CASCADE", "SET NULL", "NO ACTION", "SET DEFAULT"]
        .into_iter()
        .find(|word| rule.is_some_and(|rule| rule.starts_with(word)))
        .unwrap_or("RESTRICT")
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::Definition;

    #[test]
    fn json_columns_and_delete_rules_are_found_whatever_their_names() {
        let text = "CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `a``b` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`a``b`)),
  `c` longtext DEFAULT ' CHECK (json_valid(`c`))',
  `plain` longtext DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `f ON DELETE SET NULL` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE CASCADE ON UPDATE SET NULL,
  CONSTRAINT `g` FOREIGN KEY (`id`) REFERENCES `p` (`id`),
  CONSTRAINT `positive` CHECK (`id` > 0)
) ENGINE=InnoDB";
        let found = Definition::read(text);
        assert_eq!(
            found.json_checks,
            [("a`b".to_owned(), "json_valid(`a``b`)".to_owned())]
        );
        assert_eq!(
            found.delete_rules,
            [
                ("f ON DELETE SET NULL".to_owned(), "cascade".to_owned()),
                ("g".to_owned(), "restrict".to_owned())
            ]
        );
    }
}
