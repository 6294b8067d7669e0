"""Names of methods and variants as a reader knows them; CSV tables keep the keys."""

import re

_NAMES = {
    "mae": "MAE",
    "deepmim": "DeepMIM",
    "localmim": "LocalMIM",
    "mirl": "MIRL",
    "crossmae": "CrossMAE",
    "mff": "MFF",
    "simmim": "SimMIM",
    "ijepa": "I-JEPA",
    "maskfeat": "MaskFeat",
}
_CLASS = re.compile(r"(?<!\S)(?P<key>[\w.]*?)\.?_target_=(?:\w+\.)*(?P<name>\w+)(?!\S)")


def display(method: str, variant: str = "") -> str:
    """`MAE`, or `MAE budget.epochs=3`; of `key._target_=package.module.Name` only `Name`.

    With `method._target_` the class replaces the name of the method, since it is another method.
    """
    for match in _CLASS.finditer(variant):
        if match["key"] == "method":
            method, variant = match["name"], variant.replace(match[0], "")
    name = _NAMES.get(method, method)
    return " ".join(f"{name} {_CLASS.sub(lambda match: match['name'], variant)}".split())
