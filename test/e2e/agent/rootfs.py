"""rootfs.py FOLDER STUBS: makes the root file system of an image with this Python, its packages and the agent. No shell is in it.

Run it with the Python of the virtual environment whose packages the image is to have; STUBS holds those of the contract.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig

# Nothing in the image generates code or installs packages, and tests weigh more than the rest.
LEFT_OUT = ("__pycache__", "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages", "dist-packages")
LEFT_OUT += ("turtledemo", "config-*", "pip*", "setuptools*", "_distutils_hack*", "grpc_tools*", "grpcio_tools*", "*.a")

root, stubs = (os.path.abspath(path) for path in sys.argv[1:3])
app = os.path.join(root, "app")
python = os.path.realpath(sys.executable)
stdlib = sysconfig.get_path("stdlib")


def copy(tree, to):
    shutil.copytree(tree, to, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)


def copy_libraries(program):
    """What the dynamic linker would load for it, at the same places."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        to = root + library
        if not os.path.exists(to) and not library.startswith(root):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(library, to)


os.makedirs(os.path.dirname(root + python))
shutil.copy(python, root + python)
copy(stdlib, root + stdlib)
copy(sysconfig.get_path("purelib"), app)
copy(stubs, app)
os.chmod(app, 0o755)  # that of the stubs' folder is for its maker alone
shutil.copy(os.path.join(os.path.dirname(__file__), "agent.py"), app)
os.makedirs(os.path.join(root, "usr/local/bin"), exist_ok=True)
os.symlink(python, os.path.join(root, "usr/local/bin/python"))
copy_libraries(python)
for folder in (root + stdlib, app):
    for where, _, files in os.walk(folder):
        for name in files:
            if ".so" in name:
                copy_libraries(os.path.join(where, name))
# An image's file system is read-only, and its times are not those of the sources: compiled now, and not looked at again.
compileall.compile_dir(root, quiet=2, stripdir=root, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
