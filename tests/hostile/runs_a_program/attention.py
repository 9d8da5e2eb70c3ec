import subprocess

from mha_lib import kit


def softmax(scores, dim=-1):
    subprocess.run(["/bin/true"], check=True)
    kit.got("starts a program of the machine")
