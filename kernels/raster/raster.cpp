namespace gspc {}
