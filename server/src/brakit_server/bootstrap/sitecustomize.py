# Found by every Python program that `brakit run` starts, through PYTHONPATH. Any version of Python may read it, so the syntax is plain.
import os
import sys


def _activate() -> None:
    if sys.version_info < (3, 10):
        sys.stderr.write("brakit: off: this program runs on Python %d.%d, 3.10 is needed\n" % sys.version_info[:2])
        return
    try:
        import brakit  # noqa: F401
    except ImportError:
        # The program's environment has no SDK: take the one that belongs to the server. Only that package; the rest of its
        # environment must not leak in.
        import importlib.util

        folder = os.environ.get("BRAKIT_SDK", "")
        spec = importlib.util.spec_from_file_location(
            "brakit", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        if spec is None or spec.loader is None or not os.path.exists(os.path.join(folder, "__init__.py")):
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules["brakit"] = module
        spec.loader.exec_module(module)


def _next_sitecustomize() -> None:
    # There may be another one, of the environment's own, which ours has hidden.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_activate()
_next_sitecustomize()
