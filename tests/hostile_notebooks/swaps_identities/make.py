def edit(cells):
    marks = [c["metadata"]["nbgrader"] for c in cells if "nbgrader" in c["metadata"]]
    marks = {mark["grade_id"]: mark for mark in marks}
    one, other = marks["attention-softmax"], marks["attention-causal_mask"]
    one["grade_id"], other["grade_id"] = other["grade_id"], one["grade_id"]
