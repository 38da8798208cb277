//! Digits of numbers with a fixed width, read and written without the formatting machinery: tables have millions of them.

/// Adds `number`, from 0 to 9,999, as four digits.
pub(super) fn push_four(text: &mut String, number: i64) {
    push_ascii(text, &four(number));
}

/// `number`, from 0 to 9,999, as four digits.
pub(super) fn four(number: i64) -> [u8; 4] {
    let ([a, b], [c, d]) = (two(number / 100), two(number % 100));
    [a, b, c, d]
}

/// `number`, from 0 to 99, as two digits.
pub(super) fn two(number: i64) -> [u8; 2] {
    let number = u8::try_from(number).unwrap_or_default();
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// Adds ASCII.
pub(super) fn push_ascii(text: &mut String, ascii: &[u8]) {
    text.push_str(std::str::from_utf8(ascii).unwrap_or_default());
}

/// The number that so many digits are; `None` where one of them is none.
pub(super) fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    let mut number = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::{four, number, push_four};

    #[test]
    fn four_digits_are_written_as_formatting_writes_them_and_read_again() {
        for expected in 0..10_000 {
            let mut text = String::new();
            push_four(&mut text, expected);
            assert_eq!(text, format!("{expected:04}"));
            assert_eq!(number(four(expected)), Some(expected));
        }
    }

    #[test]
    fn what_is_no_digit_is_no_number() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            assert_eq!(number([b'1', byte]), None);
        }
    }
}
