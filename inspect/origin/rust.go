package origin

// rustReleases are the stable releases of rustc by the first nine digits of
// their commits, as "rustc --version" prints them. The paths of the standard
// library in panic messages begin with /rustc/ and the commit, so that the
// compiler is known where the producers section is gone. Commits of nightly
// builds and of releases that are not listed are reported without a version.
//
// WebAssembly has been a target of stable releases since 1.25.
var rustReleases = map[string]string{
	"84203cac6": "1.25.0", "a77568041": "1.26.0", "827013a31": "1.26.1", "594fb253c": "1.26.2",
	"3eda71b00": "1.27.0", "5f2b325f6": "1.27.1", "58cc626de": "1.27.2", "9634041f0": "1.28.0",
	"aa3ca1994": "1.29.0", "b801ae664": "1.29.1", "17a9dc751": "1.29.2", "da5f414c2": "1.30.0",
	"1433507eb": "1.30.1", "abe02cefd": "1.31.0", "b6c32da9b": "1.31.1", "9fda7c223": "1.32.0",
	"2aa4c46cf": "1.33.0", "91856ed52": "1.34.0", "fc50f328b": "1.34.1", "6c2484dc3": "1.34.2",
	"3c235d560": "1.35.0", "a53f9df32": "1.36.0", "eae3437df": "1.37.0", "625451e37": "1.38.0",
	"4560ea788": "1.39.0", "73528e339": "1.40.0", "5e1a79984": "1.41.0", "f3e1a954d": "1.41.1",
	"b8cedc004": "1.42.0", "4fb7144ed": "1.43.0", "8d69840ab": "1.43.1", "49cae5576": "1.44.0",
	"c7087fe00": "1.44.1", "5c1f21c3b": "1.45.0", "c367798cf": "1.45.1", "d3fb005a3": "1.45.2",
	"04488afe3": "1.46.0", "18bf6b4f0": "1.47.0", "7eac88abb": "1.48.0", "e1884a8e3": "1.49.0",
	"cb75ad5db": "1.50.0", "2fd73fabe": "1.51.0", "88f19c6da": "1.52.0", "9bc8c42bb": "1.52.1",
	"53cb7b09b": "1.53.0", "a178d0322": "1.54.0", "c8dfcfe04": "1.55.0", "09c42c458": "1.56.0",
	"59eed8a2a": "1.56.1", "f1edd0429": "1.57.0", "02072b482": "1.58.0", "db9d1b20b": "1.58.1",
	"9d1b2106e": "1.59.0", "7737e0b5c": "1.60.0", "fe5b13d68": "1.61.0", "a8314ef7d": "1.62.0",
	"e092d0b6b": "1.62.1", "4b91a6ea7": "1.63.0", "a55dd71d5": "1.64.0", "897e37553": "1.65.0",
	"69f9c33d7": "1.66.0", "90743e729": "1.66.1", "fc594f156": "1.67.0", "d5a82bbd2": "1.67.1",
	"2c8cc3432": "1.68.0", "8460ca823": "1.68.1", "9eb3afe9e": "1.68.2", "84c898d65": "1.69.0",
	"90c541806": "1.70.0", "8ede3aae2": "1.71.0", "eb26296b5": "1.71.1", "5680fa18f": "1.72.0",
	"d5c2e9c34": "1.72.1", "cc66ad468": "1.73.0", "79e9716c9": "1.74.0", "a28077b28": "1.74.1",
	"82e1608df": "1.75.0", "07dca489a": "1.76.0", "aedd173a2": "1.77.0", "7cf61ebde": "1.77.1",
	"25ef9e3d8": "1.77.2", "9b00956e5": "1.78.0", "129f3b996": "1.79.0", "051478957": "1.80.0",
	"3f5fd8dd4": "1.80.1", "eeb90cda1": "1.81.0", "f6e511eec": "1.82.0", "90b35a623": "1.83.0",
	"9fc6b4312": "1.84.0", "e71f9a9a9": "1.84.1", "4d91de4e4": "1.85.0", "4eb161250": "1.85.1",
	"05f9846f8": "1.86.0", "17067e9ac": "1.87.0", "6b00bc388": "1.88.0", "29483883e": "1.89.0",
	"1159e78c4": "1.90.0", "f8297e351": "1.91.0", "ed61e7d7e": "1.91.1", "ded5c06cf": "1.92.0",
	"254b59607": "1.93.0", "01f6ddf75": "1.93.1", "4a4ef493e": "1.94.0", "e408947bf": "1.94.1",
	"59807616e": "1.95.0", "ac68faa20": "1.96.0", "31fca3adb": "1.96.1", "2d8144b78": "1.97.0",
	"8bab26f4f": "1.97.1", "88d9e12ae": "1.98.0", "48a229cea": "1.98.1", "b940084d7": "1.99.0",
	"58cf8f9c3": "1.99.1",
}

// RustRelease gives the stable release of rustc that was built from a commit,
// "1.92.0", "" if the commit is that of no release that is known. Nine hexadecimal
// digits or more tell commits apart.
func RustRelease(commit string) string {
	const digits = 9
	if len(commit) < digits {
		return ""
	}
	return rustReleases[commit[:digits]]
}
