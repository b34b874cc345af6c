// Nothing to call: what the target has runs when the process of the tests starts.
#pragma once
