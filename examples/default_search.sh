#!/bin/sh
# The default search, shortened: a network for scikit-learn's digits.
set -e
nas search --space mlp_depth.yaml --trials "${TRIALS:-20}"
nas best
nas importance --output importance.html
