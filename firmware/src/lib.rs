//! A classifier on a microcontroller: link, preprocessing, inference, display. No heap.

#![no_std]
