//! Tables of cases for the modules that decide; see `crate::notation` for how trees are written.

mod assemble;
mod batch;
mod deep;
mod diff;
mod reconcile;
mod safety;
mod scope;
mod select;
mod settle;
mod tracking;
