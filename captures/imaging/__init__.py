"""What a picture is and what is made of it: bytes and pixels in, values out; no Django."""
