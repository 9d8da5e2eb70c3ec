def spoil(path):
    text = path.read_text()
    deep = "[" * 50_000 + "]" * 50_000
    path.write_text(text.replace('"metadata": {', f'"metadata": {{"deep": {deep}, ', 1))
