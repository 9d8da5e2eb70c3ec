"""What the notebooks show: tasks, training, figures, questions. Nothing to fill in here."""
