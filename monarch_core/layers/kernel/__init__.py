"""The C++ kernel for the CPU, its build, and its reference in torch."""
