import Datasets
import Testing

@Test func `an error says which item it is about`() {
    #expect(DatasetError.unreadable(path: "a.jpg", reason: "gone").description.contains("a.jpg"))
}
