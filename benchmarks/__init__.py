"""How fast FaceCCTV is and how much memory it takes, on the machine at hand.

python -m benchmarks --help
"""
