//! The pictures of the states, drawn in `icons/tray/*.svg` and rendered by `icons/tray/render.sh`.

use tauri::image::Image;
use tauri::include_image;

use super::state::TrayState;

/// Dark strokes for a light panel, or light ones for a dark panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    /// The panel is light.
    Light,
    /// The panel is dark.
    Dark,
}

impl Panel {
    /// Guesses the panel from what the desktop prefers. GNOME's panel is dark in either case.
    pub(crate) fn of(desktop: &str, prefers_dark: bool) -> Panel {
        let gnome = desktop.split(':').any(|name| ["GNOME", "Unity", "ubuntu"].contains(&name));
        if gnome || prefers_dark { Panel::Dark } else { Panel::Light }
    }
}

/// The four pictures of a state; the paths are whole because they are read while this is compiled.
macro_rules! of {
    ($panel:expr, $fine:expr, $light:literal, $light_fine:literal, $dark:literal, $dark_fine:literal) => {
        match ($panel, $fine) {
            (Panel::Light, false) => include_image!($light),
            (Panel::Light, true) => include_image!($light_fine),
            (Panel::Dark, false) => include_image!($dark),
            (Panel::Dark, true) => include_image!($dark_fine),
        }
    };
}

/// Returns the picture of a state; `fine` for screens with more than one pixel to a point.
#[rustfmt::skip]
pub(crate) fn icon(state: TrayState, panel: Panel, fine: bool) -> Image<'static> {
    match state {
        TrayState::Ok => of!(
            panel, fine,
            "../icons/tray/light/ok-24.png", "../icons/tray/light/ok-48.png",
            "../icons/tray/dark/ok-24.png", "../icons/tray/dark/ok-48.png"
        ),
        TrayState::Drifted => of!(
            panel, fine,
            "../icons/tray/light/drifted-24.png", "../icons/tray/light/drifted-48.png",
            "../icons/tray/dark/drifted-24.png", "../icons/tray/dark/drifted-48.png"
        ),
        TrayState::Paused => of!(
            panel, fine,
            "../icons/tray/light/paused-24.png", "../icons/tray/light/paused-48.png",
            "../icons/tray/dark/paused-24.png", "../icons/tray/dark/paused-48.png"
        ),
        TrayState::Apart | TrayState::Offline => of!(
            panel, fine,
            "../icons/tray/light/offline-24.png", "../icons/tray/light/offline-48.png",
            "../icons/tray/dark/offline-24.png", "../icons/tray/dark/offline-48.png"
        ),
        TrayState::Scanning => of!(
            panel, fine,
            "../icons/tray/light/scanning-24.png", "../icons/tray/light/scanning-48.png",
            "../icons/tray/dark/scanning-24.png", "../icons/tray/dark/scanning-48.png"
        ),
        TrayState::Busy => of!(
            panel, fine,
            "../icons/tray/light/busy-24.png", "../icons/tray/light/busy-48.png",
            "../icons/tray/dark/busy-24.png", "../icons/tray/dark/busy-48.png"
        ),
        TrayState::Starting => of!(
            panel, fine,
            "../icons/tray/light/starting-24.png", "../icons/tray/light/starting-48.png",
            "../icons/tray/dark/starting-24.png", "../icons/tray/dark/starting-48.png"
        ),
        TrayState::Attention => of!(
            panel, fine,
            "../icons/tray/light/attention-24.png", "../icons/tray/light/attention-48.png",
            "../icons/tray/dark/attention-24.png", "../icons/tray/dark/attention-48.png"
        ),
        TrayState::Error => of!(
            panel, fine,
            "../icons/tray/light/error-24.png", "../icons/tray/light/error-48.png",
            "../icons/tray/dark/error-24.png", "../icons/tray/dark/error-48.png"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [TrayState; 9] = [
        TrayState::Ok,
        TrayState::Drifted,
        TrayState::Paused,
        TrayState::Offline,
        TrayState::Scanning,
        TrayState::Busy,
        TrayState::Starting,
        TrayState::Attention,
        TrayState::Error,
    ];

    /// Which pixels are drawn at all: the shape, whatever its colours.
    fn shape(state: TrayState) -> Vec<bool> {
        icon(state, Panel::Light, false)
            .rgba()
            .chunks(4)
            .map(|pixel| pixel.last().is_some_and(|a| *a > 96))
            .collect()
    }

    #[test]
    fn every_state_has_a_shape_of_its_own() {
        for (at, one) in STATES.iter().enumerate() {
            for other in STATES.iter().skip(at + 1) {
                let apart = shape(*one).iter().zip(shape(*other)).filter(|(a, b)| **a != *b).count();
                assert!(apart >= 30, "{one:?} and {other:?} differ in {apart} of 576 pixels");
            }
        }
    }

    #[test]
    fn both_panels_show_the_same_shapes_in_other_colours() {
        for state in STATES {
            let (light, dark) = (icon(state, Panel::Light, true), icon(state, Panel::Dark, true));
            assert_eq!((light.width(), dark.height()), (48, 48));
            assert_ne!(light.rgba(), dark.rgba(), "{state:?}");
        }
    }

    #[test]
    fn gnomes_panel_is_dark_whatever_is_preferred() {
        assert_eq!(Panel::of("ubuntu:GNOME", false), Panel::Dark);
        assert_eq!(Panel::of("KDE", false), Panel::Light);
        assert_eq!(Panel::of("KDE", true), Panel::Dark);
    }
}
