import ApusJSON
import ApusRecipes

func runSFT(_ settings: SFTSettings, configFile: String?) throws { show(settings) }
func runInfer(_ settings: InferSettings) throws { show(settings) }
func runExport(_ settings: ExportSettings) throws { show(settings) }
func runParams(_ settings: ParamsSettings) throws { show(settings) }
func runTokenize(_ settings: TokenizeSettings) throws { show(settings) }
func runTemplate(_ settings: TemplateSettings) throws { show(settings) }

private func show(_ settings: some CommandSettings) {
    print(JSONValue.object(settings.argsJSON()).serialized(indent: 2))
}
