//! The labels of an `enum` or a `set`, as the catalogue prints them: `enum('it''s','a\\b')`. Pure.
//!
//! Invariant: what is said to be held is stored as that very text; no number stands for a label, and no other case.

/// What values a column has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Labels {
    labels: Vec<String>,
    /// Any of them in their order, with commas between.
    several: bool,
}

impl Labels {
    /// Of a type that begins with `enum(`.
    pub(super) fn of_enum(native: &str) -> Self {
        Self {
            labels: labels(native),
            several: false,
        }
    }

    /// Of a type that begins with `set(`.
    pub(super) fn of_set(native: &str) -> Self {
        Self {
            labels: labels(native),
            several: true,
        }
    }

    /// Whether the column can hold `text`.
    pub(super) fn hold(&self, text: &str) -> bool {
        if !self.several {
            return self.labels.iter().any(|label| label == text);
        }
        let mut labels = self.labels.iter();
        text.is_empty()
            || text
                .split(',')
                .all(|part| labels.any(|label| label == part))
    }

    /// Why it cannot.
    pub(super) fn reason(&self) -> &'static str {
        if self.several {
            "the value is no list of the column's labels in their order"
        } else {
            "the value is none of the column's labels"
        }
    }
}

fn labels(native: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut letters = native
        .chars()
        .skip_while(|letter| *letter != '\'')
        .peekable();
    while letters.next_if_eq(&'\'').is_some() {
        let mut label = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.next_if_eq(&'\'').is_none() => break,
                '\\' => label.extend(letters.next().map(unescaped)),
                letter => label.push(letter),
            }
        }
        labels.push(label);
        letters.next_if_eq(&',');
    }
    labels
}

fn unescaped(letter: char) -> char {
    match letter {
        '0' => '\0',
        'n' => '\n',
        'r' => '\r',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn only_the_labels_themselves_are_held() {
        let labels = Labels::of_enum(r"enum('it''s','a\\b','x\ny','','1,2','é')");
        for held in ["it's", r"a\b", "x\ny", "", "1,2", "é"] {
            assert!(labels.hold(held), "{held:?}");
        }
        for other in ["1", "IT'S", "it's ", "e", "a", "it's,é"] {
            assert!(!labels.hold(other), "{other:?}");
        }
    }

    #[test]
    fn a_set_holds_its_labels_in_their_order() {
        let labels = Labels::of_set("set('a','b','c')");
        for held in ["", "a", "a,c", "a,b,c"] {
            assert!(labels.hold(held), "{held:?}");
        }
        for other in ["c,a", "a,a", "3", "a,", "A", ","] {
            assert!(!labels.hold(other), "{other:?}");
        }
    }
}
