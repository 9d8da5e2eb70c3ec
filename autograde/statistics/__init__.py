"""Item statistics for instructors: what a class did with each exercise."""
