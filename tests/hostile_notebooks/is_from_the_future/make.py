import json


def spoil(path):
    notebook = json.loads(path.read_text())
    path.write_text(json.dumps(notebook | {"nbformat": 99, "nbformat_minor": -1}))
