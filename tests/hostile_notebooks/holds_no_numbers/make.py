def spoil(path):
    text = path.read_text()
    strange = '"x": NaN, "y": ' + "9" * 5000 + ", "
    path.write_text(text.replace('"metadata": {', '"metadata": {' + strange, 1))
