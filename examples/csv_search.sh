#!/bin/sh
# A search on a table of your own: text columns, numbers and missing values need no preparation.
# Usage: csv_search.sh adult.csv income
set -e
DATA=${1:?a CSV file}
TARGET=${2:?the column to predict}

nas search --space mlp_small --data "$DATA" --target "$TARGET" --trials "${TRIALS:-10}" --study table
nas export --study table --output winner.keras
nas predict winner.keras --data "$DATA" --output predictions.csv
