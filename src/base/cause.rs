//! Looking through an error's chain of causes.

use std::error::Error;

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
    std::iter::successors(Some(err), |err: &&'a (dyn Error + 'static)| (*err).source())
}
