#!/bin/sh
# Renders the tray's pictures from the drawings in ../glyphs: PNG for light and dark panels of Linux and Windows, and black
# templates for macOS. Needs rsvg-convert (Debian: librsvg2-bin).
set -eu
cd "$(dirname "$0")"

# Colour only repeats what the shape says.
render() { # DIRECTORY INK ATTENTION ERROR SIZE…
    dir=$1 ink=$2 attention=$3 error=$4
    shift 4
    mkdir -p "$dir"
    sheet=$(mktemp)
    for state in ok drifted busy scanning attention error paused offline starting; do
        case $state in
            attention) colour=$attention ;;
            error) colour=$error ;;
            *) colour=$ink ;;
        esac
        printf 'svg{color:%s}' "$colour" >"$sheet"
        for size in "$@"; do
            rsvg-convert --stylesheet "$sheet" -w "$size" -h "$size" -o "$dir/$state-$size.png" "../glyphs/$state.svg"
        done
    done
    rm "$sheet"
}

render light '#1B1F26' '#8A4B00' '#B3261E' 16 22 24 32 48
render dark '#E8EBF0' '#F2B04C' '#FF8A80' 16 22 24 32 48
render macos '#000' '#000' '#000' 18 36
