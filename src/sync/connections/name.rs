//! Names a stranger chose: shown to people, so short and without characters that change how text is shown.

use crate::model::connection::RemoteSite;
use crate::wire::messages::EvenkeelHello;
use crate::wire::signing::ReceiptKey;

/// Characters of a name at most.
pub(super) const NAME_CHARACTERS: usize = 100;

/// `text` without control and direction characters, trimmed and cut to a name's length; `None` when nothing is left.
pub(in crate::sync) fn cleaned(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .filter(|character| !hides_or_turns(*character))
        .collect();
    let cut: String = kept.trim().chars().take(NAME_CHARACTERS).collect();
    let name = cut.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// What a peer says of itself, or `None` when it cannot be a site's.
pub(super) fn remote_site(hello: &EvenkeelHello) -> Option<RemoteSite> {
    Some(RemoteSite {
        site_id: hello.site_id.parse().ok()?,
        site_name: cleaned(&hello.site_name)?,
        version: cleaned(&hello.version)?,
    })
}

/// The key with which a peer signs receipts, when it announces that it signs; `Err` for what is no such key.
pub(super) fn announced_key(hello: &EvenkeelHello) -> Result<Option<&str>, InvalidKey> {
    match hello.receipt_key.as_deref() {
        Some(key) if !ReceiptKey::is_public(key) => Err(InvalidKey),
        key => Ok(key.filter(|_| hello.protocol >= 1)),
    }
}

/// A `receipt_key` that is no Ed25519 key.
#[derive(Debug)]
pub(super) struct InvalidKey;

/// Control characters, and those of Unicode that are invisible or reverse the direction of text (UAX #9).
fn hides_or_turns(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::{cleaned, remote_site};
    use crate::wire::messages::EvenkeelHello;

    #[test]
    fn a_strangers_name_is_shown_short_and_plain() {
        assert_eq!(cleaned(" Köln\u{202e}\n \u{7}").as_deref(), Some("Köln"));
        assert_eq!(cleaned(&"x".repeat(300)).map(|name| name.len()), Some(100));
        for empty in ["", "  ", "\n\t", "\u{200b}"] {
            assert_eq!(cleaned(empty), None, "{empty:?}");
        }
    }

    #[test]
    fn a_hello_without_a_proper_site_id_is_nobodys() {
        let hello = |site_id: &str| EvenkeelHello {
            protocol: 1,
            site_id: site_id.to_owned(),
            site_name: "berlin".to_owned(),
            version: "0.1.0".to_owned(),
            receipt_key: None,
            wants: None,
            tables: None,
        };
        assert!(remote_site(&hello("0192d1c8-3b7e-7000-8000-000000000001")).is_some());
        assert!(remote_site(&hello("berlin")).is_none());
    }
}
