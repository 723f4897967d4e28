//! How values are written where people and scripts meet them: paths, durations, sizes, times.

mod path;
mod suggest;
mod time;
mod units;

pub use path::{PathTextError, path_bytes, path_text};
pub use suggest::nearest;
pub use time::{format_time, now, parse_time};
pub use units::{
    UnitError, format_duration, format_size, human_count, human_duration, human_size, parse_duration,
    parse_size,
};
