import json


def spoil(path):
    notebook = json.loads(path.read_text())
    kernel = {"name": "../../evil", "display_name": "evil", "language": "sh"}
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "../evil"}}
    path.write_text(json.dumps(notebook))
    (path.parent / "kernel.json").write_text(json.dumps({"argv": ["touch", "/tmp/hostile-kernel"]}))
