"""The exported winner in plain Keras; nas is not needed. Usage: load_model.py MODEL CSV"""

import sys

import keras
import pandas as pd

model_file, csv_file = sys.argv[1:]
model = keras.models.load_model(model_file)
table = pd.read_csv(csv_file, keep_default_na=False)
# A model of a table with text columns takes a dictionary of columns. (Without text columns it
# takes one numeric array.) Columns that it does not know, such as the target, are left out.
columns = {name: table[name].to_numpy() for name in model.input}
print(model.predict(columns, verbose=0)[:5])
