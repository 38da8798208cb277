//! Names of users and members of groups, from `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
//!
//! Directory services are not asked: who is known only to them goes by number, and is in no group but their own.

use std::fs;

/// The user's name, or the number as text.
pub(super) fn user_name(uid: u32) -> String {
    fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|accounts| name_in(&accounts, uid).map(str::to_owned))
        .unwrap_or_else(|| uid.to_string())
}

/// Whether the group with this number lists the user.
pub(super) fn is_member(user: &str, gid: u32) -> bool {
    fs::read_to_string("/etc/group").is_ok_and(|groups| lists(&groups, gid, user))
}

fn name_in(accounts: &str, uid: u32) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then_some(name)
    })
}

fn lists(groups: &str, gid: u32, user: &str) -> bool {
    groups.lines().any(|line| {
        let mut fields = line.split(':').skip(2);
        let number = fields.next().and_then(|number| number.parse::<u32>().ok());
        let members = fields.next().unwrap_or_default();
        number == Some(gid) && members.split(',').any(|member| member == user)
    })
}

#[cfg(test)]
mod tests {
    use super::{lists, name_in};

    #[test]
    fn accounts_and_groups_are_read_by_number() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\n\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_in(accounts, 1000), Some("anna"));
        assert_eq!(name_in(accounts, 7), None);
        let groups = "root:x:0:\nevenkeel:x:901:anna,ben\n";
        assert!(lists(groups, 901, "ben"));
        assert!(!lists(groups, 901, "an"));
        assert!(!lists(groups, 0, "anna"));
        assert!(!lists(groups, 0, "x"));
    }
}
