from nas.models.preprocessing import encode_folds
