import json


def spoil(path):
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": 7, "cells": {"a": [None, 1]}})
    )
