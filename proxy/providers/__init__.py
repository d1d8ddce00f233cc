"""What differs between providers, as data and as one module per dialect; the pipeline knows only ``base``."""
