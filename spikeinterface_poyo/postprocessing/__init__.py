"""SpikeInterface's side: the extension ``poyo_decoding``, and what decoding says of units."""
