"""Evidence: is an agent worth it, and how much may it do alone? Pure: figures in, figures out."""
