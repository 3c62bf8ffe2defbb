#!/usr/bin/env bash
# Makes kitchen.flac from kitchen.txt: a synthetic voice in a quiet room. Needs flite and sox.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
parts=()
n=0
while read -r line; do
  n=$((n + 1))
  flite -voice rms -t "$line" -o "$work/$n.wav"
  sox -R "$work/$n.wav" -r 16000 "$work/said$n.wav" norm -9 pad 0.9 0.6
  parts+=("$work/said$n.wav")
done < kitchen.txt
sox -R "${parts[@]}" "$work/all.wav"
seconds=$(soxi -D "$work/all.wav")
sox -R -n -r 16000 "$work/room.wav" synth "$seconds" brownnoise vol 0.004
sox -R -m -v 1 "$work/all.wav" -v 1 "$work/room.wav" -b 16 kitchen.flac
