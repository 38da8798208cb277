//! Looking through an error's chain of causes.

use std::error::Error;
use std::io;

/// The first cause of type `E`, the error itself included.
pub fn first_cause<'a, E: Error + 'static>(err: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(err).find_map(|err| err.downcast_ref())
}

/// The last cause in words: it says what happened, where the ones before it only repeat what was tried.
pub fn last_cause(err: &(dyn Error + 'static)) -> String {
    causes(err)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn causes<'a>(err: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(err), |err| cause(*err))
}

/// An `io::Error` around another error names that one's cause as its own, and would leave it out.
fn cause<'a>(err: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => err.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Error;
    use std::io;

    use super::{first_cause, last_cause};

    #[test]
    fn what_an_io_error_wraps_is_found() {
        let err = io::Error::other(io::Error::other(Error));
        assert!(first_cause::<Error>(&err).is_some());
        assert_eq!(last_cause(&err), Error.to_string());
    }
}
