"""The lines of a winner's program that read, divide and encode its data."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.data import DataOptions, Schema
from nas.data.arrays import SKLEARN_DATA
from nas.data.date_values import PERIODS
from nas.errors import NasError
from nas.options import SplitOptions
from nas.spec import TrialSpec

# Not scikit-learn's QuantileTransformer, to which the smallest value is -5.2, however frequent.
NORMAL_SCORES = """\
class NormalScores(base.BaseEstimator, base.TransformerMixin):
    def fit(self, x, y=None):
        self.lines_ = []
        for column in np.asarray(x).T:
            values, counts = np.unique(column, return_counts=True)
            ranks = (np.cumsum(counts) - counts / 2) / len(column)  # equal values share the middle
            self.lines_.append((values, ndtri(ranks)))
        return self

    def transform(self, x):
        columns = zip(np.asarray(x).T, self.lines_)
        return np.column_stack([np.interp(column, *line) for column, line in columns])

"""


def check_data(data: DataOptions, split: SplitOptions, schema: Schema, n_targets: int = 1) -> None:
    """Refuses what a short program cannot do again."""
    refused = {
        "--groups": data.groups,
        "several targets": n_targets > 1,
        "--quantiles": data.quantiles,
        "--time": data.time,
        "--test": data.test,
        "--classes": data.classes,
        "--max-rows": data.max_rows,
        "--merge-rare": data.merge_rare,
        "--label-noise": data.label_noise,
        "--sample-weight": data.sample_weight,
        "--class-weight": data.class_weight != "none",
        "--target-scaling": data.target_scaling != "standard",
        "columns of text": any(column.kind == "text" for column in schema.columns),
        "--numeric or --date": any(column.lenient for column in schema.columns),
        "row numbers for the test part": split.given or split.given_test,
        "numbers with units": any(column.unit for column in schema.columns),
        "marks between thousands": len(schema.marks) > 1,
    }
    is_file = Path(data.source).suffix.lower() in (".csv", ".tsv", ".parquet", ".npz")
    is_file = is_file and Path(data.source).is_file()
    if is_file and Path(data.source).suffix.lower() in (".csv", ".tsv"):
        refused["a file in another encoding than UTF-8"] = not _is_utf_8(Path(data.source))
    for name, value in refused.items():
        if value:
            raise NasError("--format", f"'code' for a search with {name}", "another format")
    if data.source not in SKLEARN_DATA and not is_file:
        raise NasError(
            "--format", f"'code' for {data.source}", "a .csv, .tsv, .parquet or .npz file, or a "
            "data set of scikit-learn",
        )  # fmt: skip


def _is_utf_8(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_table(data: DataOptions) -> bool:
    return Path(data.source).suffix.lower() in (".csv", ".tsv", ".parquet")


def reading_lines(card: Mapping[str, Any], data: DataOptions, schema: Schema) -> Iterator[str]:
    classes = [str(label) for label in card["classes"]]
    if not is_table(data):
        if data.source in SKLEARN_DATA:
            yield f"x, y = datasets.load_{data.source}(return_X_y=True)"
        else:
            yield f"with np.load({data.source!r}) as file:"
            yield "    parts = ['x', 'y'] if 'x' in file else ['x_train', 'y_train']"
            yield "    x, y = (file[part] for part in parts)"
            yield "    tests = [file[p] for p in ('x_test', 'y_test')] if 'x' not in file else None"
            yield "if tests is not None:"
            yield "    n_train = len(x)"
            yield "    x, y = (np.concatenate(both) for both in zip((x, y), tests))"
        yield "x = x.reshape(len(x), -1).astype(float)"
        if classes:
            yield "classes, y = np.unique(y, return_inverse=True)"
        return
    kinds = {
        kind: [c.name for c in schema.columns if c.kind == kind]
        for kind in ("numeric", "date", "categorical")
    }
    for kind, name in (("numeric", "NUMBERS"), ("categorical", "CATEGORIES")):
        if kinds[kind]:
            yield f"{name} = {kinds[kind]!r}"
    is_parquet = Path(data.source).suffix.lower() == ".parquet"
    if is_parquet:
        yield f"table = pd.read_parquet({data.source!r}).astype(object).fillna('').astype(str)"
    else:
        header = ", header=None" if schema.n_unnamed else ""
        yield f"table = pd.read_csv({data.source!r}, dtype=str, keep_default_na=False,"
        yield f"                    sep=None, engine='python'{header})"
        if schema.n_unnamed:
            yield "table.columns = [str(k + 1) for k in range(table.shape[1])]"
        yield "table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())"
    assert data.target is not None
    is_place = data.target.startswith("-") and data.target[1:].isdigit()
    place = f"table.iloc[:, {data.target}]" if is_place else f"table[{data.target!r}]"
    yield f"target = {place}"
    if classes:
        yield f"known = ~target.isin({['', '?', *data.missing]!r})"
    else:
        yield f"target = target.mask(target.isin({[*data.missing]!r}))"
        point = ".str.replace(',', '.')" if schema.marks == "," else ""
        yield f"target = pd.to_numeric(target{point}, errors='coerce')"
        yield "known = target.notna()"
    yield "table, target = table[known], target[known]"
    if classes:
        yield f"classes = {classes!r}"
        yield "y = np.array([classes.index(label) for label in target])"
    else:
        yield "y = target.to_numpy(float)"
    if kinds["numeric"]:
        truth = ".replace({'True': 1, 'False': 0})" if is_parquet else ""
        truth += ".replace(',', '.', regex=True)" if schema.marks == "," else ""
        yield f"numbers = table[NUMBERS]{truth}.apply(pd.to_numeric, errors='coerce')"
    if kinds["date"]:
        yield from _dates(schema)
    parts = [name for kind, name in (("numeric", "numbers"), ("date", "dates")) if kinds[kind]]
    parts += ["table[CATEGORIES]"] if kinds["categorical"] else []
    yield f"x = pd.concat([{', '.join(parts)}], axis=1)"


def _dates(schema: Schema) -> Iterator[str]:
    yield "dates = pd.DataFrame(index=table.index)"
    for column in schema.columns:
        if column.kind != "date":
            continue
        first = column.order == "day first"
        yield f"moment = pd.to_datetime(table[{column.name!r}], format='mixed', dayfirst={first},"
        yield "                        errors='coerce', utc=True)"
        yield "days = (moment - pd.Timestamp(0, tz='UTC')) / pd.Timedelta(days=1)"
        for part in column.parts:
            if part == "days":
                yield f"dates[{column.name + ' days'!r}] = days - {column.origin:g}"
                continue
            angle = f"2 * np.pi * (days - {column.origin:g}) / {PERIODS[part]:g}"
            for wave in ("sin", "cos"):
                name = f"{column.name} {part} {wave}"
                yield f"dates[{name!r}] = np.{wave}({angle}).fillna(0)"


def dividing_lines(card: Mapping[str, Any], split: SplitOptions) -> Iterator[str]:
    rows, stratify = "np.arange(len(y))", "y" if card["classes"] else "None"
    if not split.test_size:
        yield f"train = {rows}"
        yield "test = train  # no rows were set aside: the score is of the rows that it learned"
        return
    drawn = f"model_selection.train_test_split({rows}, test_size={split.test_size:g},"
    if card["data"]["source"].endswith(".npz"):
        yield "if tests is not None:"
        yield f"    train, test = np.split({rows}, [n_train])"
        yield "else:"
        yield f"    train, test = {drawn}"
        yield f"        random_state={split.seed}, stratify={stratify})"
        return
    yield f"train, test = {drawn}"
    yield f"    random_state={split.seed}, stratify={stratify})"


def encoding_lines(card: Mapping[str, Any], schema: Schema, spec: TrialSpec) -> Iterator[str]:
    """Preprocessing by scikit-learn, learned from the training rows."""
    scaling = spec.architecture.scaling
    scaling = card["data"]["scaling"] if scaling == "data" else scaling
    if len(schema.row_shape) > 1:  # all pixels share one scale
        scales = {
            "standard": ("x[train].mean()", "x[train].std()"),
            "unit": ("x[train].min()", "np.ptp(x[train])"),
            "symmetric": ("(x[train].max() + x[train].min()) / 2", "np.ptp(x[train]) / 2"),
            "none": ("0.0", "1.0"),
        }
        if scaling not in scales:
            raise NasError("--format", f"'code' for images with --scaling {scaling}", "standard")
        center, scale = scales[scaling]
        yield f"center, scale = {center}, {scale}"
        yield "encoded = ((x - center) / scale).astype('float32')"
        return
    fill = "median" if scaling in ("robust", "quantile") else "mean"
    scaler = {
        "standard": "preprocessing.StandardScaler()",
        "robust": "preprocessing.RobustScaler(),\n"
        "    preprocessing.FunctionTransformer(lambda x: x / np.sqrt(1 + (x / 3) ** 2))",
        "quantile": "NormalScores()",
        "unit": "preprocessing.MinMaxScaler()",
        "symmetric": "preprocessing.MinMaxScaler((-1, 1))",
        "none": "preprocessing.FunctionTransformer()",
    }[scaling]
    if scaling == "quantile":
        yield NORMAL_SCORES
    yield "scaled = pipeline.make_pipeline("
    yield f"    SimpleImputer(strategy={fill!r}, keep_empty_features=True),"
    yield f"    {scaler},"
    yield ")"
    if not schema.columns:
        yield "encoder = scaled"
    else:
        numeric = any(column.kind != "categorical" for column in schema.columns)
        categorical = any(column.kind == "categorical" for column in schema.columns)
        yield "encoder = compose.make_column_transformer("
        if numeric:
            dates = any(column.kind == "date" for column in schema.columns)
            names = " + ".join(["NUMBERS"] * _has(schema, "numeric") + ["list(dates)"] * dates)
            yield f"    (scaled, {names}),"
            yield "    (pipeline.make_pipeline("
            yield "        SimpleImputer(add_indicator=True, keep_empty_features=True),"
            width = "len(NUMBERS)" if not dates else f"len({names})"
            yield f"        preprocessing.FunctionTransformer(lambda x: x[:, {width}:]),"
            yield f"    ), {names}),"
        if categorical:
            yield "    (preprocessing.OneHotEncoder(handle_unknown='ignore', sparse_output=False,"
            yield "                                 max_categories=101), CATEGORIES),"
        yield ")"
    rows = "x.iloc" if schema.columns else "x"
    yield f"encoder.fit({rows}[train])"
    yield "encoded = encoder.transform(x).astype('float32')"


def _has(schema: Schema, kind: str) -> bool:
    return any(column.kind == kind for column in schema.columns)
