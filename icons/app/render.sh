#!/bin/sh
# Renders the application's icon from ../app.svg, in small sizes from ../app-small.svg: PNG for the icon theme and the bundler,
# ICO for Windows. The bundler makes the ICNS of macOS from the PNG files. Needs rsvg-convert and convert (Debian: librsvg2-bin,
# imagemagick).
set -eu
cd "$(dirname "$0")"
for size in 16 22 24 32; do
    rsvg-convert -w "$size" -h "$size" -o "$size.png" ../app-small.svg
done
for size in 48 64 128 256 512; do
    rsvg-convert -w "$size" -h "$size" -o "$size.png" ../app.svg
done
convert 16.png 24.png 32.png 48.png 64.png 256.png icon.ico
