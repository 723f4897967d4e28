//! References from a part back to the whole that holds it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

/// A [`Weak`] that does not name in its type what it points to.
///
/// A node holds relationships, these hold what runs in them, and that points back to node and relationship. With plain
/// `Weak`s the types would form a circle, and the compiler would walk all of it again for every future of which it has to
/// show that it may move between threads: that took a third of the time that checking this crate needs.
pub(crate) struct Back<T>(Weak<dyn Any + Send + Sync>, PhantomData<fn() -> T>);

impl<T: Send + Sync + 'static> Back<T> {
    /// Refers to the whole, without keeping it alive.
    pub(crate) fn to(whole: &Arc<T>) -> Self {
        Arc::downgrade(whole).into()
    }

    /// Returns the whole, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Arc<T>> {
        // It was made of an `Arc<T>`, so it is one.
        self.0.upgrade()?.downcast().ok()
    }
}

impl<T: Send + Sync + 'static> From<Weak<T>> for Back<T> {
    fn from(whole: Weak<T>) -> Self {
        Self(whole, PhantomData)
    }
}

impl<T> Clone for Back<T> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0), PhantomData)
    }
}

impl<T> fmt::Debug for Back<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Back")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_found_as_long_as_it_lives() {
        let whole = Arc::new(String::from("all"));
        let back = Back::to(&whole);
        assert_eq!(back.clone().upgrade().as_deref().map(String::as_str), Some("all"));
        drop(whole);
        assert!(back.upgrade().is_none());
    }
}
