//! Digits of numbers with a fixed width, written without the formatting machinery: tables have millions of them.

/// Adds `number`, from 0 to 99, as two digits.
pub(super) fn push_two(text: &mut String, number: i64) {
    let number = u8::try_from(number).unwrap_or_default();
    text.push(char::from(b'0' + number / 10 % 10));
    text.push(char::from(b'0' + number % 10));
}

/// Adds `number`, from 0 to 9,999, as four digits.
pub(super) fn push_four(text: &mut String, number: i64) {
    push_two(text, number / 100);
    push_two(text, number % 100);
}

#[cfg(test)]
mod tests {
    use super::push_four;

    #[test]
    fn four_digits_are_written_as_formatting_writes_them() {
        for number in 0..10_000 {
            let mut text = String::new();
            push_four(&mut text, number);
            assert_eq!(text, format!("{number:04}"));
        }
    }
}
