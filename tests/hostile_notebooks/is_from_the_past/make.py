import json


def spoil(path):
    path.write_text(
        json.dumps({"nbformat": 1, "nbformat_minor": 0, "worksheets": [], "metadata": {}})
    )
