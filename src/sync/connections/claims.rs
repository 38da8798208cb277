//! Claims of strangers that nobody has decided about: how many there may be, and for how long.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{SignedDuration, Timestamp};

use crate::store::StoreError;
use crate::sync::{Actor, Ctx};

/// How long a claim waits for an administrator.
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Claims that may wait.
const MOST: usize = 1_000;
/// Of these from one block of addresses: an IPv4 /24 or an IPv6 /48, about what one stranger has.
const MOST_OF_BLOCK: usize = 20;

/// Whether there is room for one more claim, from `from`, beside those from `origins`.
pub(super) fn has_room(origins: &[Option<String>], from: Option<IpAddr>) -> bool {
    if origins.len() >= MOST {
        return false;
    }
    let Some(block) = from.and_then(block_of) else {
        return true;
    };
    let is_of_block = |origin: &&Option<String>| {
        let address = origin.as_ref().and_then(|origin| origin.parse().ok());
        address.and_then(block_of) == Some(block)
    };
    origins.iter().filter(is_of_block).count() < MOST_OF_BLOCK
}

fn block_of(address: IpAddr) -> Option<IpNet> {
    let block: IpNet = match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).ok()?.into(),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).ok()?.into(),
    };
    Some(block.trunc())
}

/// Removes the claims that waited too long.
///
/// # Errors
/// Only our own state's.
pub async fn expire_claims(ctx: &Ctx, now: Timestamp) -> Result<(), StoreError> {
    let before = now.checked_sub(LIFE).unwrap_or(Timestamp::MIN);
    let expired = ctx.store.expire_claims(before).await?;
    for claim in &expired {
        let detail = Some(format!("{} at {}", claim.name, claim.url));
        let (actor, subject) = (Actor::daemon(), claim.id.to_string());
        ctx.audit(&actor, "connection.expire", &subject, detail)
            .await;
    }
    if !expired.is_empty() {
        ctx.alerter.wake();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MOST, MOST_OF_BLOCK, has_room};
    use std::net::IpAddr;

    #[test]
    fn one_block_of_addresses_cannot_take_the_place_of_others() {
        let origins = |address: &dyn Fn(usize) -> String, count: usize| {
            (0..count).map(|at| Some(address(at))).collect::<Vec<_>>()
        };
        let room = |origins: &[Option<String>], from: &str| {
            has_room(origins, Some(from.parse::<IpAddr>().unwrap()))
        };
        let of_v4 = |at: usize| format!("192.0.2.{at}");
        let almost = origins(&of_v4, MOST_OF_BLOCK - 1);
        assert!(room(&almost, "192.0.2.200"));
        let full = origins(&of_v4, MOST_OF_BLOCK);
        for (from, has) in [
            ("192.0.2.200", false),
            ("::ffff:192.0.2.200", false),
            ("192.0.3.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(room(&full, from), has, "{from}");
        }
        let of_v6 = |at: usize| format!("2001:db8:7:{at:x}::1");
        let full = origins(&of_v6, MOST_OF_BLOCK);
        for (from, has) in [("2001:db8:7:ffff::9", false), ("2001:db8:8::1", true)] {
            assert_eq!(room(&full, from), has, "{from}");
        }
        let everybody = |at: usize| format!("10.{}.{}.1", at / 256, at % 256);
        assert!(room(&origins(&everybody, MOST - 1), "192.0.2.1"));
        let full = origins(&everybody, MOST);
        assert!(!room(&full, "192.0.2.1"));
        assert!(!has_room(&full, None));
        assert!(has_room(&[None, None], None));
    }
}
