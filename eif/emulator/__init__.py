"""QEMU's nitro-enclave machine and the vsock device's other end: an image boots for real, without AWS."""
