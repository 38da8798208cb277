//! The only place that writes to stdout: tables on a terminal, tab-separated lines otherwise, JSON lines on demand.
//!
//! Data goes to stdout, everything said to a person to stderr. Text from peers loses its control characters,
//! so that none can steer a terminal. A closed stdout is an error value, never a panic.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// One JSON object a line.
    pub json: bool,
    /// Stdout is a terminal.
    pub terminal: bool,
    /// Stderr is a terminal: a progress line may be rewritten.
    pub live: bool,
}

/// A column of a list: its title and what it shows of an item.
pub(super) type Column = (&'static str, fn(&Value) -> String);

impl Output {
    /// As the process was started.
    pub(super) fn of_process(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            live: io::stderr().is_terminal(),
        }
    }

    /// One line of data.
    pub(super) fn line(self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", clean(text))
    }

    /// Text as it is, such as a whole file.
    pub(super) fn text(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// One JSON object on a line of its own.
    pub(super) fn object(self, value: &Value) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{value}")
    }

    /// Items in whichever form was asked for.
    pub(super) fn list(self, items: &[Value], columns: &[Column]) -> io::Result<()> {
        if self.json {
            return items.iter().try_for_each(|item| self.object(item));
        }
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| columns.iter().map(|(_, show)| show(item)).collect())
            .collect();
        self.table(&titles, &rows)
    }

    /// Rows under titles; without titles and tab-separated when stdout is no terminal.
    pub(super) fn table(self, titles: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        if self.terminal {
            self.text(&aligned(titles, rows))
        } else {
            rows.iter().try_for_each(|row| self.line(&row.join("\t")))
        }
    }

    /// A message for a person, on stderr.
    pub(super) fn note(self, text: &str) {
        let lines = text.lines().map(clean).collect::<Vec<_>>().join("\n");
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{lines}");
    }

    /// Rewrites the progress line on a terminal's stderr; empty text removes it.
    pub(super) fn progress(self, text: &str) {
        if self.live {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{}", clean(text));
            let _ = stderr.flush();
        }
    }

    /// Asks a person for a line, after `question`; `None` at the end of input.
    pub(super) fn ask(self, question: &str) -> io::Result<Option<String>> {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{} ", clean(question))?;
        stderr.flush()?;
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer)?;
        Ok((read > 0).then(|| answer.trim().to_owned()))
    }

    /// Whether somebody can be asked.
    pub(super) fn can_ask(self) -> bool {
        self.live && io::stdin().is_terminal()
    }
}

/// `text` without control characters; a tab stays.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn aligned(titles: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |text: &str| clean(text).replace('\t', " ");
    let head = titles.iter().map(|title| cell(title)).collect();
    let lines: Vec<Vec<String>> = [head]
        .into_iter()
        .chain(
            rows.iter()
                .map(|row| row.iter().map(|text| cell(text)).collect()),
        )
        .collect();
    let width = |column: usize| {
        let widths = lines.iter().filter_map(|line| line.get(column));
        widths.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let is_number = |column: usize| {
        let mut cells = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.get(column))
            .peekable();
        cells.peek().is_some()
            && cells.all(|text| {
                text.chars()
                    .all(|c| c.is_ascii_digit() || ",.-".contains(c))
            })
    };
    let numbers: Vec<bool> = (0..titles.len()).map(is_number).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line
            .iter()
            .zip(&widths)
            .zip(&numbers)
            .map(|((cell, &width), &number)| {
                if number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in the unit that suits it.
pub(super) fn sized(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >= 1 << shift) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// A span of time in the unit that suits it.
pub(super) fn spanned(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{aligned, clean, grouped, sized, spanned};

    #[test]
    fn a_table_is_aligned_with_numbers_to_the_right() {
        let rows = [
            vec!["orders".to_owned(), "12".to_owned()],
            vec!["items".to_owned(), "1,234".to_owned()],
        ];
        assert_eq!(
            aligned(&["table", "rows"], &rows),
            "table    rows\norders     12\nitems   1,234\n"
        );
        assert_eq!(aligned(&["table"], &[]), "table\n");
    }

    #[test]
    fn text_from_a_peer_cannot_steer_the_terminal() {
        assert_eq!(
            clean("a\x1b[2Jb\u{9b}c\nd"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn quantities_are_shown_in_units_that_suit_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(336_776), "336,776");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(sized(512), "512 B");
        assert_eq!(sized(1_536), "1.5 KiB");
        assert_eq!(sized(u64::MAX), "17179869183.9 GiB");
        assert_eq!(spanned(250), "250 ms");
        assert_eq!(spanned(1_250), "1.2 s");
        assert_eq!(spanned(61_000), "1 min 1 s");
        assert_eq!(spanned(7_260_000), "2 h 1 min");
    }
}
