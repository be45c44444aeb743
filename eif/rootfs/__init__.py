"""The root file system of the image: interpreter, libraries and the enclave's own code, and nothing else."""
