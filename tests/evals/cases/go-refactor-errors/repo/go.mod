module example.org/config

go 1.19
