//! The bounds of a grant, held against one request: pure but for the clock of the callers' rates.
//!
//! Invariant: every bound has its own words and code, and a bound that passes by itself says when.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, Zoned};

use crate::model::connection::Connection;
use crate::model::grant::{Clock, Hours, Limits};
use crate::sync::Ctx;
use crate::sync::throttle::TooOften;
use crate::wire::messages::StreamFaultCode;

/// A bound of the grant that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitFault {
    /// Its time is over.
    #[error("This connection has expired")]
    Expired,
    /// The request comes from elsewhere.
    #[error("This connection may not be used from this network")]
    Network,
    /// It is not the time of day.
    #[error("This connection may be used from {} to {} only ({zone})", hours.start, hours.end)]
    Hours {
        /// When it is.
        hours: Hours,
        /// Whose clock counts.
        zone: String,
        /// Seconds until then.
        retry_after: u64,
    },
    /// It asks too often.
    #[error("This connection may make {per_minute} requests a minute; try again later")]
    Requests {
        /// How often it may.
        per_minute: u32,
        /// Seconds until it may again.
        retry_after: u64,
    },
    /// The day's rows are used up.
    #[error("This connection may pull {limit} rows a day, and no more are left for this")]
    Rows {
        /// How many.
        limit: u64,
        /// Seconds until the next day.
        retry_after: u64,
    },
    /// The day's bytes are used up.
    #[error("This connection may pull {limit} bytes a day, and no more are left for this")]
    Bytes {
        /// How many.
        limit: u64,
        /// Seconds until the next day.
        retry_after: u64,
    },
}

impl LimitFault {
    /// The `error_code` of the peer protocol.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let code = self.stream_code();
        code.map_or("requests_per_minute", StreamFaultCode::as_str)
    }

    /// With which code it ends a stream, where it can.
    pub(super) fn stream_code(&self) -> Option<StreamFaultCode> {
        match self {
            Self::Requests { .. } => None,
            Self::Expired => Some(StreamFaultCode::Expired),
            Self::Network => Some(StreamFaultCode::NetworkNotAllowed),
            Self::Hours { .. } => Some(StreamFaultCode::OutsideHours),
            Self::Rows { .. } => Some(StreamFaultCode::RowsPerDay),
            Self::Bytes { .. } => Some(StreamFaultCode::BytesPerDay),
        }
    }

    /// In how many seconds to ask again, where that can help.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Expired | Self::Network => None,
            Self::Hours { retry_after, .. }
            | Self::Requests { retry_after, .. }
            | Self::Rows { retry_after, .. }
            | Self::Bytes { retry_after, .. } => Some(*retry_after),
        }
    }

    /// Whether it is about how much is asked for, and not about who asks when and from where.
    #[must_use]
    pub fn is_about_amount(&self) -> bool {
        matches!(
            self,
            Self::Requests { .. } | Self::Rows { .. } | Self::Bytes { .. }
        )
    }
}

/// What holds for every request of a connection, whatever it asks for: its networks, and how often it may ask. Counts
/// the request.
///
/// # Errors
/// The bound it breaks.
pub fn check_request(
    ctx: &Ctx,
    connection: &Connection,
    address: Option<IpAddr>,
) -> Result<(), LimitFault> {
    let limits = &connection.grant.limits;
    let counted = ctx
        .throttle
        .connection(connection.id, limits.requests_per_minute);
    check_network(limits, address)?;
    counted.map_err(|TooOften { retry_after }| LimitFault::Requests {
        per_minute: limits.requests_per_minute.unwrap_or_default(),
        retry_after,
    })
}

/// Who may ask for data, when, and from where; `now` on the clock of the site.
///
/// # Errors
/// The bound that is broken.
pub(super) fn check_asking(
    limits: &Limits,
    address: Option<IpAddr>,
    now: &Zoned,
) -> Result<(), LimitFault> {
    if limits.are_over(now.timestamp()) {
        return Err(LimitFault::Expired);
    }
    check_network(limits, address)?;
    let clock = Clock::of(now.time());
    match limits.hours {
        Some(hours) if !hours.include(clock) => Err(LimitFault::Hours {
            hours,
            zone: name_of(now.time_zone()),
            retry_after: u64::from(hours.minutes_until(clock))
                .saturating_mul(60)
                .max(1),
        }),
        _ => Ok(()),
    }
}

fn check_network(limits: &Limits, address: Option<IpAddr>) -> Result<(), LimitFault> {
    let Some(networks) = &limits.networks else {
        return Ok(());
    };
    let address = address.map(|address| address.to_canonical());
    let is_inside = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
    match address.is_some_and(is_inside) {
        true => Ok(()),
        false => Err(LimitFault::Network),
    }
}

fn name_of(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// `now` on the clock of the site.
pub(super) fn on_site(ctx: &Ctx, now: Timestamp) -> Zoned {
    now.to_zoned(ctx.config.site.timezone.clone())
}

/// Seconds from `now` until the next day begins; at least 1.
pub(super) fn until_tomorrow(now: &Zoned) -> u64 {
    let tomorrow = now.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
    let span = tomorrow.and_then(|tomorrow| now.until((Unit::Second, &tomorrow)));
    let seconds = span.map_or(3_600, |span| span.get_seconds());
    u64::try_from(seconds).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::{LimitFault, check_asking, until_tomorrow};
    use crate::model::grant::Limits;
    use jiff::{Timestamp, Zoned};
    use std::net::IpAddr;

    fn berlin(time: &str) -> Zoned {
        let time: Timestamp = time.parse().unwrap();
        time.in_tz("Europe/Berlin").unwrap()
    }

    #[test]
    fn each_bound_is_told_apart_and_the_first_that_is_broken_is_told() {
        let limits: Limits = serde_json::from_value(serde_json::json!({
            "networks": ["10.0.0.0/8", "2001:db8::/32"], "hours": {"start": "08:00", "end": "18:00"},
            "expires_at": "2027-01-01T00:00:00Z",
        }))
        .unwrap();
        let ask = |time: &str, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            check_asking(&limits, Some(address), &berlin(time)).err()
        };
        let inside = "2026-11-21T12:00:00Z";
        assert_eq!(ask(inside, "10.1.2.3"), None);
        assert_eq!(ask(inside, "::ffff:10.1.2.3"), None);
        assert_eq!(ask(inside, "2001:db8::1"), None);
        assert_eq!(ask(inside, "11.1.2.3"), Some(LimitFault::Network));
        assert_eq!(
            check_asking(&limits, None, &berlin(inside)),
            Err(LimitFault::Network)
        );
        // In Berlin it is an hour later.
        assert_eq!(ask("2026-11-21T07:00:00Z", "10.1.2.3"), None);
        let early = ask("2026-11-21T06:30:00Z", "10.1.2.3").unwrap();
        assert_eq!(
            (early.code(), early.retry_after()),
            ("outside_hours", Some(1_800))
        );
        assert_eq!(
            early.to_string(),
            "This connection may be used from 08:00 to 18:00 only (Europe/Berlin)"
        );
        assert_eq!(
            ask("2027-01-01T00:00:00Z", "11.1.2.3"),
            Some(LimitFault::Expired)
        );
    }

    #[test]
    fn a_day_ends_at_midnight_of_the_site() {
        assert_eq!(until_tomorrow(&berlin("2026-11-21T22:59:00Z")), 60);
        // The day on which clocks go back has 25 hours.
        assert_eq!(until_tomorrow(&berlin("2026-10-24T22:00:00Z")), 25 * 3_600);
    }
}
