"""The shell: the only modules that import `js` and `pyodide`. They translate and forward, and decide nothing."""
